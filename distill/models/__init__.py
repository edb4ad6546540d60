"""Models are data: what a folder or a repository of the Hub must be before anything loads it.

``open`` is the one way in, for a base, a served model, an adapter and the model of a signal alike.
"""
