"""Faults done to a running gateway, each with the criterion it must meet: `hatch run chaos`.

Processes are killed and stopped, backends misbehave, clients are slow, descriptors and disks run out, while an ordinary
load goes on beside. All of it on loopback, in processes of its own, bounded in count and time.
"""
