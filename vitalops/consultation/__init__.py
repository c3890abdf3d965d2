"""A consultation as its two people meet it: sign-in, booking, a real call, and what remains of it afterwards.

Everything here speaks to a platform from outside, over HTTPS and WebRTC, and prints nothing.
"""
