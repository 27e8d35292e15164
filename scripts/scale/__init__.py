"""How RAUTA follows a real API server with many routes, and one that fails: `hatch run scale`, docs/scale.md."""
