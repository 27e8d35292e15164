"""The Gateway API conformance suite against RAUTA, on a real API server made for the run. docs/conformance.md."""
