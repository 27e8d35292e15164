"""What can be asked of a RAUTA gateway, and the types of the answers."""
