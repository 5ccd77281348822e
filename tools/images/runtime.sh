#!/bin/sh
# runtime.sh ROOT: collects into ROOT what Node needs to run on nothing else: the binary, the loader and libraries it is
# linked to, certificates, a user, an empty /tmp. Runs in a stage of ../../Dockerfile, on a Debian.
set -eu
root=$1
node=$(command -v node)

mkdir -p "$root/usr/local/bin" "$root/etc/ssl/certs" "$root/tmp" "$root/data" "$root/var/lib/dpkg/status.d"
cp "$node" "$root/usr/local/bin/node"

# Each library under the name by which the loader asks for it, whatever links lie between the name and the file.
ldd "$node" | grep -o '/[^ ]*' | sort -u | while read -r library; do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
  # /lib is a link to /usr/lib on Debian, and dpkg knows a file by only one of its names.
  dpkg -S "$library" 2>/dev/null || dpkg -S "$(realpath "$library")" 2>/dev/null || dpkg -S "${library#/usr}" 2>/dev/null || true
done | sed 's/:.*//' | sort -u | while read -r package; do
  dpkg-query --status "$package" >"$root/var/lib/dpkg/status.d/$package"
done

cp -L /etc/os-release "$root/etc/os-release"
# A slim base has no certificates. Node then uses its own.
if [ -s /etc/ssl/certs/ca-certificates.crt ]; then cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"; fi
echo 'nonroot:x:65532:65532:nonroot:/tmp:/usr/sbin/nologin' >"$root/etc/passwd"
echo 'nonroot:x:65532:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf" # localhost without asking a name server
chmod 1777 "$root/tmp"
chown 65532:65532 "$root/data"
find "$root" -exec touch --no-dereference --date=@0 {} + # the same bytes at every build

# The binary runs on what was collected, and on nothing else.
chroot "$root" /usr/local/bin/node --version
