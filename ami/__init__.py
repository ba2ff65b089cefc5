"""The line to Asterisk: place calls, move legs, watch, reconcile."""

from ami.link import AmiAddress, Link
from ami.protocol import AmiError, AmiInvalid, AmiLost, AmiRefused, AmiTimeout

__all__ = ["AmiAddress", "AmiError", "AmiInvalid", "AmiLost", "AmiRefused", "AmiTimeout", "Link"]
