#!/bin/sh
# A CI job in shell: starts the double, waits for its ready line, has a client send to it, looks at the
# truth, and stops it. The client here is curl, which speaks SMTP.
set -eu
log=$(mktemp)
postbound serve --port 0 --control >"$log" &
double=$!
trap 'kill "$double"; rm -f "$log"' EXIT
until grep -q '^ready ' "$log"; do
    kill -0 "$double" # it ended before it was ready: so does this
    sleep 0.1
done
read -r _ address control <"$log"
control=${control#control=}

# Nothing is configured: the address says what goes wrong. This server takes the message and never
# says so (RFC 1047). The outer limit is for a curl whose own does not end this wait.
said=0
printf 'Subject: hello\r\n\r\nworld\r\n' |
    timeout 10 curl --silent --noproxy '*' --max-time 2 --url "smtp://$address" \
        --mail-from me@example.net --mail-rcpt lost-reply@example.org --upload-file - || said=$?

messages=$(curl --silent --fail --noproxy '*' "$control/v1/namespaces/main/ledger" | sed 's/.*"messages":\([0-9]*\).*/\1/')
echo "curl's exit code: $said; messages in the mailbox: $messages"
[ "$messages" = 1 ]
