"""Words for people."""


def counted(count: int, noun: str) -> str:
    """Returns a number of things in words."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def clean(text: str) -> str:
    """Returns a text on one line, without what could steer a terminal."""
    return "".join(char if char.isprintable() else "\ufffd" for char in " ".join(text.split()))
