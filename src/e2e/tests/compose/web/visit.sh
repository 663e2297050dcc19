#!/bin/sh
printf 'Content-type: text/plain\n\n'
echo "$GREETING, visit $(redis-cli -h db incr visits), $(cat /run/secrets/token), $(cat /etc/app/app.conf)"
