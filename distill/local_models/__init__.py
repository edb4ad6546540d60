"""Models on this machine: checked before anything is loaded from them, merged, served.

Everything opens models through ``open``: bases, served models, adapters and models of signals.
"""
