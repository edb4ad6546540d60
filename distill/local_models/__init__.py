"""Models on this machine: checked before anything of them is loaded, merged, served.

``open`` is the one way in, for a base, a served model, an adapter and the model of a signal alike.
"""
