#!/bin/busybox sh
# The guest's first and only service: brings up what the agent needs, then runs each command that comes over the second serial line.
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root
mkdir -p /proc /sys /dev /tmp /run /root /var/lib /etc
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mount -t tmpfs none /run
# A file system that tells how much is free, which a ramfs does not; IMA leaves it out, so what the agent writes is not measured.
mount -t tmpfs none /var/lib
mount -t securityfs none /sys/kernel/security
insmod /lib/modules/e1000.ko
ip link set lo up
ip address add 10.0.2.15/24 dev eth0
ip link set eth0 up
stty -F /dev/ttyS1 raw -echo

# A line is a number and a command in base64; the answer is the number, the exit code and the output, in base64 too.
serve() {
  echo ready
  while read -r number command; do
    echo "$command" | base64 -d >/run/command
    sh /run/command >/run/output 2>&1 </dev/null
    echo "$number $? $(base64 /run/output | tr -d '\n')"
  done
  poweroff -f
}
serve </dev/ttyS1 >/dev/ttyS1 &
# Not in this process: it inherits every process whose parent ends, and their ends would interrupt its reading.
while :; do
  wait
  sleep 1
done
