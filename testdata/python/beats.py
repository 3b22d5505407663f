"""A server that inherits its socket and gives signs of life by sd_notify, each request on a thread of its own. /slow takes 10 s."""
import faulthandler
import http.server
import os
import socket
import threading
import time

faulthandler.enable()


def notify(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])


def beat(seconds):
    while True:
        notify("WATCHDOG=1")
        time.sleep(seconds)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/slow":
            time.sleep(10)
        body = b"pid: %d\n" % os.getpid()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    def __init__(self):
        super().__init__(("", 0), Handler, bind_and_activate=False)
        self.socket = socket.socket(fileno=3)


if not os.environ.get("MUTE"):
    hang = int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6
    notify("WATCHDOG=1")  # before it takes a connection
    threading.Thread(target=beat, args=(hang / 2 or 1,), daemon=True).start()
    notify("READY=1")
Server().serve_forever()
