#!/bin/sh
# Installs the Debian packages of the servers and engines that muster is tested with. What is there is left alone.
# As root, or with the argument "sudo", it installs; otherwise it says what is missing, whose tests are then skipped.
set -eu

# program:package
peers="
python3:python3
gunicorn:gunicorn
uvicorn:uvicorn
ruby:ruby
puma:puma
nginx:nginx-light
php-fpm:php-fpm
php-cgi:php-cgi
runc:runc
systemctl:systemd
"
[ "$(uname -m)" != x86_64 ] || peers="$peers linux.uml:user-mode-linux" # there is none for others

PATH=$PATH:/usr/sbin:/sbin

# have PROGRAM: in PATH, or under a versioned name as php-fpm8.2.
have() {
    command -v "$1" >/dev/null 2>&1 && return
    for path in /usr/sbin/"$1"[0-9]* /usr/bin/"$1"[0-9]*; do
        [ -x "$path" ] && return
    done
    return 1
}

missing() {
    for peer in $peers; do
        have "${peer%%:*}" || printf '%s ' "${peer##*:}"
    done
}

packages=$(missing)
[ -n "$packages" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "setup-peers: no apt-get; install yourself what you can: $packages" >&2
    [ "${CI:-}" != true ]
    exit
fi
as=env
if [ "$(id -u)" != 0 ]; then
    if [ "${1:-}" = sudo ]; then
        as="sudo env"
    elif [ "${CI:-}" = true ]; then
        as="sudo -n env"
    else
        echo "setup-peers: missing: $packages(make peers installs them; until then their tests are skipped)" >&2
        exit 0
    fi
fi

echo "setup-peers: installing $packages"
$as apt-get update -qq </dev/null
$as DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $packages </dev/null >/dev/null

packages=$(missing)
[ -z "$packages" ] || { echo "setup-peers: still missing: $packages" >&2; exit 1; }
