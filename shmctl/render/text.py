"""Text from an object, made safe for a terminal."""

from shmctl.core.names import escape


def escape_text(data: bytes) -> str:
    """``data`` as text: lines and tabs stay, what a terminal would obey or cannot show is escaped."""
    return escape(data, keep=" '\"\\\n\t")
