#!/bin/bash
# The page that a ps serves, without a browser: it is served whole and as what it is, takes nothing from elsewhere, puts
# text of peers in as text, and reads only what common/status_page.md promises.
#
# Usage: dashboard_page.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"

root=$(realpath "$(dirname "$0")/../..")
page=$root/common/dashboard
schemas=("$root/common/status_page.md" "$root/deploy/status/ui_runs.h")

# get PATH OPTION...   the body goes to $case_dir/body, the head to $case_dir/head.
get() {
    curl --silent --show-error --max-time 10 --output "$case_dir/body" --dump-header "$case_dir/head" "${@:2}" \
        "http://$(cat "$case_dir/http")$1"
}

says() {
    grep -qixF -- "$1"$'\r' "$case_dir/head"
}

# served PATH FILE TYPE
served() {
    get "$1"
    expect says "HTTP/1.1 200 OK"
    expect says "Content-Type: $3"
    expect says "X-Content-Type-Options: nosniff"
    cmp -s "$case_dir/body" "$page/$2" || fail "$1 is not $2"
}

begin "every file is served as it is, under a policy that lets nothing else in"
start_task ps-0 "$(task "$(dense 1 1)" ps 0)" "$ps" --http-port 0 --http-port-file "$case_dir/http"
await [ -s "$case_dir/http" ]
served / index.html "text/html; charset=utf-8"
policy="default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' http://127.0.0.1:* "
policy+="http://localhost:*; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
expect says "Content-Security-Policy: $policy"
served /dashboard/icon.svg icon.svg "image/svg+xml"
served /dashboard/style.css style.css "text/css; charset=utf-8"
for file in "$page"/*.js; do # those of `penstock ui` too
    name=$(basename "$file")
    served "/dashboard/$name" "$name" "text/javascript; charset=utf-8"
done

begin "what the files name is there"
for name in $(grep -oE '(src|href)="/dashboard/[^"]+' "$page"/*.html | sed 's/.*dashboard\///'); do
    expect [ -f "$page/$name" ]
done
for name in $(grep -ohE 'from "\./[^"]+' "$page"/*.js | sed 's/.*\///'); do
    expect [ -f "$page/$name" ]
done
for id in $(grep -ohE 'byId\("[^"]+' "$page"/*.js | sed 's/.*"//'); do
    expect grep -q "id=\"$id\"" "$page"/*.html
done

begin "nothing comes from elsewhere, and text stays text"
strangers=$(grep -nE 'https?://|//[a-z]+\.' "$page"/* | grep -vE '"http://www\.w3\.org/2000/svg"|`http://\$\{http\}/[a-z]*`|\.js:[0-9]+: *//')
[ -z "$strangers" ] || fail "addresses: $strangers"
unsafe=$(grep -nE 'innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|srcdoc| on[a-z]+="|style="' "$page"/*.js "$page"/*.html)
[ -z "$unsafe" ] || fail "text could become more than text: $unsafe"

begin "every field that is read is promised, and only one file reads"
fields=$(grep -oE 'raw[A-Za-z]*\)?\.[a-z_]+' "$page/status.js" | sed 's/.*\.//' | grep -vxE 'slice|map')
expect [ "$(wc -l <<<"$fields")" -gt 80 ]
columns=$(grep -E '[a-zA-Z]+: "[a-z_]+"' "$page/status.js" | grep -oE '[a-zA-Z]+: "[a-z_]+"' | sed 's/.*"\(.*\)"/\1/')
expect [ "$(wc -l <<<"$columns")" -gt 10 ]
for name in $fields $columns; do
    grep -qE "[\`\"]$name[\`\"]" "${schemas[@]}" || fail "$name is nowhere in ${schemas[*]}"
done
others=$(grep -lE '\braw[A-Z.]|\.[a-z]+_[a-z_]+\b' "$page"/*.js | grep -v '/status.js$')
[ -z "$others" ] || fail "also reads fields of /status: $others"

begin "pages of other servers of this host may read, others may not"
start_task ps-0 "$(task "$(dense 1 1)" ps 0)" "$ps" --http-port 0 --http-port-file "$case_dir/http"
await [ -s "$case_dir/http" ]
get /status -H "Origin: http://127.0.0.1:9090"
expect says "Access-Control-Allow-Origin: http://127.0.0.1:9090"
for origin in http://evil.example http://192.0.2.1:9090 null; do
    get /status -H "Origin: $origin"
    expect says "HTTP/1.1 200 OK"
    grep -qi "^Access-Control" "$case_dir/head" && fail "$origin may read"
done
finish
