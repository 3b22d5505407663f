"""A WSGI application without a framework, for gunicorn."""

import os


def app(environ, start_response):
    body = f"hello from pid: {os.getpid()}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
