"""The same malicious bytes through RAUTA and its peers, and what each makes of them: `hatch run peers`.

For those who want to know what a proxy lets through: a table of request heads, bodies and backend responses that have
broken proxies before, what each proxy answers, and whether the backend had to see any of it. RAUTA's column is judged:
what `requests.py` and `responses.py` demand, and nothing refused may be forwarded.
"""
