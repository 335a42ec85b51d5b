"""Real applications as their documentation builds them, with the lines that are about sessions.

Each runs in the virtual environment of its application, under gunicorn.
"""
