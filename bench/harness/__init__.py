"""What every measurement needs, without knowing any scenario or system."""
