"""Attacks: what is sent to the library and put into its stores by somebody who means harm."""
