"""The web site of the Chinese Coalition for Citizens Rights (公民自由联盟)."""

__version__ = "0.2.0"
