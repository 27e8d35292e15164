"""Reserved for the MCP server of the RAUTA gateway."""
