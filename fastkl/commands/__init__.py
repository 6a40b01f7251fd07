"""What the command line does: ``fit``, ``score`` and ``kl`` on files of rows. The parser is in ``fastkl.cli``."""
