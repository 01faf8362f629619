"""doctor(): every finding is provoked, and healed by its remedy; a healthy database has none."""
