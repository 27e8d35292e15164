"""The benchmark: RAUTA beside nginx, HAProxy and Envoy, in one run and by one measure (see docs/performance.md).

`python -m scripts.bench --list` names the rows and the proxies. Reading order: `rows` (what is measured), `peers`
(who is measured, with which configuration), `runner` (in which order), `cpu` and `memory` (what it cost), `stats` and
`report` (what is made of it).
"""
