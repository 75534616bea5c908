"""What surrounds every handler."""
