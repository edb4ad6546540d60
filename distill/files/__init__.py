"""Finds, reads and writes the files between the stages.

``find`` (what DATA means), ``read`` (to tables of rows), ``objects`` (a line of JSON), ``columns``
(other people's names), ``write`` (atomically), ``lock`` (one writer a folder).
"""
