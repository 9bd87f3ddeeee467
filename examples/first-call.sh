#!/usr/bin/env bash
# From stranger to first call, with curl and jq alone:
#
#   examples/first-call.sh PORTAL GATEWAY
#   examples/first-call.sh http://127.0.0.1:8080 http://127.0.0.1:8081
#
# Signs up, verifies the e-mail address from the development outbox, accepts the
# agreements, creates an app, issues a test key, makes a call through the
# gateway and waits until the portal counts it. Prints the time of each step.
set -euo pipefail

if [ $# -ne 2 ]; then
  echo "usage: $0 PORTAL GATEWAY   (both addresses as 'cargo xtask up' prints them)" >&2
  exit 2
fi
portal=${1%/} gateway=${2%/}
for tool in curl jq; do
  command -v "$tool" >/dev/null || { echo "error: $tool is missing: install it" >&2; exit 2; }
done

started=$(date +%s%N)
last=$started
step() { # NAME: prints the time since the step before
  local now
  now=$(date +%s%N)
  printf '%-34s %7d ms\n' "$1" $(((now - last) / 1000000))
  last=$now
}
answer='' token=''
api() { # METHOD PATH [BODY]: leaves the answer in $answer, or explains and stops
  local method=$1 path=$2 body=${3-} status
  local arguments=(--silent --show-error --max-time 20 --request "$method" --header 'accept: application/json')
  [ -n "$token" ] && arguments+=(--header "authorization: Bearer $token")
  [ -n "$body" ] && arguments+=(--header 'content-type: application/json' --data "$body")
  answer=$(curl "${arguments[@]}" --write-out '\n%{http_code}' "$portal$path")
  status=${answer##*$'\n'} answer=${answer%$'\n'*}
  case $status in
    2??) ;;
    *) echo "error: $method $path answered $status: $answer" >&2; exit 1 ;;
  esac
}
field() { jq --exit-status --raw-output "$1" <<<"$answer"; }

name="first-call-$(date +%s)-$$-$RANDOM"
email="$name@example.com"

api POST /api/v1/registrations "$(jq --null-input --arg email "$email" --arg organisation "Example $name" \
  '{email: $email, password: "a long example password \($email)", organisation_name: $organisation, name: "Ada Example"}')"
step 'sign up'

code=''
for _ in $(seq 50); do
  api GET "/dev/outbox?to=$email"
  code=$(jq --raw-output '[.emails[].code // empty][0] // empty' <<<"$answer")
  [ -n "$code" ] && break
  sleep 0.1
done
[ -n "$code" ] || { echo 'error: no verification e-mail in /dev/outbox (development only)' >&2; exit 1; }
api POST /api/v1/verifications "$(jq --null-input --arg email "$email" --arg code "$code" '{email: $email, code: $code}')"
token=$(field .session_token)
organisation=$(field .organisation_id)
step 'verify the e-mail address'

api GET "/api/v1/organisations/$organisation/agreements"
for version in $(jq --raw-output '.items[] | select(.state != "accepted") | .version.agreement_version_id' <<<"$answer"); do
  api POST "/api/v1/organisations/$organisation/acceptances" \
    "$(jq --null-input --arg version "$version" '{agreement_version_id: $version, stated_role: "Chief executive", has_authority: true}')"
done
step 'accept the agreements'

api POST "/api/v1/organisations/$organisation/apps" '{"name": "My first app"}'
app=$(field .id)
step 'create an app'

api POST "/api/v1/apps/$app/credentials" '{"environment": "test", "name": "first call"}'
key=$(field .key)
credential=$(field .credential.id)
state=$(field .credential.state)
for _ in $(seq 100); do
  [ "$state" = active ] && break
  sleep 0.1
  api GET "/api/v1/apps/$app/credentials/$credential"
  state=$(field .state)
done
[ "$state" = active ] || { echo "error: the key is still '$state' after 10 s" >&2; exit 1; }
step 'issue a test key, active at the edge'

status=$(curl --silent --show-error --max-time 10 --output /dev/null --write-out '%{http_code}' \
  --header "authorization: Bearer $key" "$gateway/v1/orders")
[ "$status" = 200 ] || { echo "error: the first call answered $status" >&2; exit 1; }
step 'first call: 200'

calls=0
for _ in $(seq 100); do
  api GET "/api/v1/apps/$app/usage"
  calls=$(field '.totals.calls')
  [ "$calls" -ge 1 ] && break
  sleep 0.1
done
[ "$calls" -eq 1 ] || { echo "error: the portal counts $calls calls instead of 1" >&2; exit 1; }
step 'counted in the portal'

last=$started
step 'in all'
echo "app       $portal/apps/$app/usage"
echo "try       curl -H 'authorization: Bearer $key' $gateway/v1/orders"
