"""Files between the stages: found, read and written here. Holds no row's meaning.

``find`` (what DATA means), ``read`` (to tables of rows), ``objects`` (a line of JSON), ``columns``
(other people's names), ``write`` (atomically), ``lock`` (one writer a folder).
"""
