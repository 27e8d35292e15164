"""The MCP server of the RAUTA gateway."""
