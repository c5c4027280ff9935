"""From bytes on a socket to an operation and back: the one door every request comes through.

Read ``dispatch`` first: it is the order of the rooms. ``listener`` turns sockets into requests,
``resolve`` finds what was asked, ``authenticate`` who asks, ``authorize`` whether they may,
``throttle`` whether now, ``render`` says no in the service's words, ``audit`` remembers.
"""

from __future__ import annotations
