"""What the command line does: ``fit``, ``score``, ``kl`` and ``plot`` on files of rows, ``show`` and ``sample`` of a saved model.

The parser is in ``fastkl.cli``.
"""
