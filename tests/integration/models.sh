#!/bin/bash
# `penstock models`: what it keeps, lists, gives back and refuses; damage, a full disk, hostile names.
#
# Usage: models.sh BUILD_FOLDER
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh" "$@"
# shellcheck source=tests/integration/lib_registry.sh
source "$(dirname "$0")/lib_registry.sh"

# A model of two files.
make_model() {
    mkdir -p "$case_dir/$1/part"
    echo "weights $2" >"$case_dir/$1/model.safetensors"
    echo "the same" >"$case_dir/$1/part/model.json"
}

kept_files() {
    find "$case_dir/home/files" -type f | wc -l
}

begin "versions count up, are listed, shown and given back, and never come again"
make_model model one
penstock_is 0 models register --name tf-dnn-mnist --path model --tag stage=test --tag 'note=a "b"'
says out "^registered tf-dnn-mnist version 1$"
echo "weights two" >"$case_dir/model/model.safetensors"
penstock_is 0 models register --name tf-dnn-mnist --path model/ --json
says out '^\{"name": "tf-dnn-mnist", "version": 2\}$'
penstock_is 0 models register --name other --path model/part/model.json
[ "$(kept_files)" = 3 ] || fail "not each content is kept once: $(kept_files) files"
penstock_is 0 models list
says out '^tf-dnn-mnist +1  20[0-9TZ:-]+ +2 +21  - +note=a "b" stage=test$'
says out '^other +1 '
penstock_is 0 models list other
[ "$(wc -l <"$case_dir/out")" = 2 ] || fail "the list of one model has others"
penstock_is 0 models list --json
says out '"name": "tf-dnn-mnist", "version": 1, .* "tags": \{"note":"a \\"b\\"","stage":"test"\}, "run": null'
penstock_is 0 models show tf-dnn-mnist
says out "^version +2$"
says out "^  $(sha256sum <"$case_dir/model/model.safetensors" | cut -d' ' -f1) +12  model.safetensors$"
says out "^  .* part/model.json$"
penstock_is 0 models show --json tf-dnn-mnist:1
says out '"path": "part/model.json", "bytes": 9, "sha256": "[0-9a-f]{64}"\}'
penstock_is 0 models download tf-dnn-mnist:2
says out "^tf-dnn-mnist version 2 is in tf-dnn-mnist-2$"
diff -r "$case_dir/model" "$case_dir/tf-dnn-mnist-2" || fail "what was given back differs"
refuses 2 "tf-dnn-mnist-2 is there already$" models download tf-dnn-mnist:2
penstock_is 0 models download other --to given/
[ "$(cat "$case_dir/given/model.json")" = "the same" ] || fail "a single file is not given back"
penstock_is 0 models verify
says out "^5 files are what was registered$"
penstock_is 0 models rm tf-dnn-mnist:2
[ "$(kept_files)" = 2 ] || fail "a file of no version is kept, or one of another is not"
penstock_is 0 models register --name tf-dnn-mnist --path model
says out "version 3$"
penstock_is 0 models rm --all tf-dnn-mnist other
[ "$(kept_files)" = 0 ] || fail "files of no version are kept"
penstock_is 0 models verify
penstock_is 0 models register --name tf-dnn-mnist --path model
says out "version 4$"
holds_together

begin "what is refused, by name and reason"
make_model model one
refuses 2 "there is no registry in .*/home: No such file" models list
[ ! -e "$case_dir/home" ] || fail "a registry is made by looking at it"
penstock_is 0 models register --name x --path model
refuses 2 "the model name '\.\./x' holds '/'; names are made of" models register --name ../x --path model
refuses 2 "the model name '\.x' begins with '\.'" models register --name .x --path model
refuses 2 "the name of a model is empty" models register --name "" --path model
refuses 2 "the model name xxxxxxxxxxxxxxxxxxxxxxxx\.\.\. exceeds 127 bytes" models register \
    --name "$(printf 'x%.0s' {1..128})" --path model
refuses 2 "the tag name 'A' holds 'A'" models register --name x --path model --tag A=1
refuses 2 "the value of the tag a is not UTF-8, or holds control characters" models register --name x --path model \
    --tag $'a=\e[2J'
refuses 2 "there is no run 20260101-000000-abcdef" models register --name x --path model --run 20260101-000000-abcdef
refuses 2 "^penstock models register: --path is missing" models register --name x
refuses 3 "cannot read absent: No such file" models register --name x --path absent
ln -s /etc/passwd "$case_dir/model/link"
refuses 2 "model/link is a symbolic link" models register --name x --path model
rm "$case_dir/model/link"
mkfifo "$case_dir/model/pipe"
refuses 2 "model/pipe is no regular file" models register --name x --path model
rm "$case_dir/model/pipe"
touch "$case_dir/model/"$'a\nb'
refuses 2 "the name model/a\?b is not UTF-8, holds control characters" models register --name x --path model
rm "$case_dir/model/"$'a\nb'
mkdir "$case_dir/empty"
refuses 2 "empty holds no file" models register --name x --path empty
refuses 2 "there is no model y" models show y
refuses 2 "there is no version 7 of the model x" models download x:7
refuses 2 "'x:0': the version is not a whole number" models show x:0
refuses 2 "which version of x\? Say x:VERSION, or --all" models rm x
refuses 2 "there is no registry in .*/model.safetensors: it is no folder" models list \
    --registry "$case_dir/model/model.safetensors"
penstock_is 0 models list
[ "$(wc -l <"$case_dir/out")" = 2 ] || fail "something that was refused is there"
holds_together

begin "a damaged file is found, named, and not given back; the next registration of the same mends it"
make_model model one
penstock_is 0 models register --name x --path model
kept=$(find "$case_dir/home/files" -name "$(sha256sum <"$case_dir/model/model.safetensors" | cut -d' ' -f1)")
chmod u+w "$kept" && printf W | dd of="$kept" bs=1 conv=notrunc status=none
penstock_is 3 models verify
says out "^x version 1: model.safetensors: .*$(basename "$kept") is damaged: its 12 bytes have the SHA-256 "
says err "of 2 files 1 are damaged; 0 belong to no model"
refuses 3 "is damaged: its 12 bytes" models download x
[ -z "$(find "$case_dir" -maxdepth 1 -name 'x-1*')" ] || fail "something is left of a download that failed"
penstock_is 0 models register --name x --path model
penstock_is 0 models verify
rm -f "$kept"
refuses 3 "is not there any more" models download x:1
touch "$case_dir/home/files/stray"
penstock_is 3 models verify
says out "files/stray belongs to no model$"

begin "a version is removed though one of its files cannot be: the command says both, a later one takes the file"
make_model model one
penstock_is 0 models register --name x --path model
kept=$(find "$case_dir/home/files" -name "$(sha256sum <"$case_dir/model/model.safetensors" | cut -d' ' -f1)")
rm -f "$kept" && mkdir "$kept"
refuses 1 "x:1 is removed, but not all of its files, which a later command will try again: cannot remove .*" models rm x:1
penstock_is 0 models list
[ "$(wc -l <"$case_dir/out")" = 1 ] || fail "the version is still there"
rmdir "$kept" && echo again >"$kept"
penstock_is 0 models list
[ "$(kept_files)" = 0 ] || fail "the file is still there"
holds_together

begin "a database that is damaged, or another's, is left alone"
make_model model one
penstock_is 0 models register --name x --path model
cp -r "$case_dir/home" "$case_dir/whole"
printf 'garbage%.0s' {1..100} | dd of="$case_dir/home/registry.db" bs=1 conv=notrunc status=none
refuses 3 "home/registry.db is damaged: file is not a database" models list
refuses 3 "home/registry.db is damaged: file is not a database" models register --name x --path model
rm -r "${case_dir:?}/home" && cp -r "$case_dir/whole" "$case_dir/home"
# The version of the schema: a later one.
printf '\0\0\0\7' | dd of="$case_dir/home/registry.db" bs=1 seek=60 conv=notrunc status=none
refuses 3 "home/registry.db has schema 7; this penstock knows 1" models list
printf 'abcd' | dd of="$case_dir/home/registry.db" bs=1 seek=68 conv=notrunc status=none
refuses 3 "home/registry.db is another program's" models list

begin "on a network file system the journal is another, and what was made for one host is refused"
make_model model one
penstock_is 0 models register --name x --path model
LD_PRELOAD=$tools/as_nfs.so refuses 2 "home is for processes of the host that sees it as a local disk" models list
rm -r "${case_dir:?}/home"
LD_PRELOAD=$tools/as_nfs.so penstock_is 0 models register --name x --path model
[ "$(dd if="$case_dir/home/registry.db" bs=1 skip=18 count=1 status=none)" = $'\1' ] || fail "it writes ahead"
penstock_is 0 models register --name x --path model
LD_PRELOAD=$tools/as_nfs.so penstock_is 0 models verify
says out "^4 files"

begin "a full disk leaves the registry as it was"
mkdir "$case_dir/home"
if mount -t tmpfs -o size=400k penstock-test "$case_dir/home" 2>/dev/null; then
    make_model model one
    penstock_is 0 models register --name x --path model
    head -c 600000 /dev/zero >"$case_dir/model/large"
    refuses 1 "cannot write .*/home/incoming/.*: No space left on device" models register --name x --path model
    penstock_is 0 models verify
    rm "$case_dir/model/large"
    penstock_is 0 models register --name x --path model
    says out "version 2$"
    cat /dev/zero >"$case_dir/home/ballast" 2>/dev/null
    echo "one more" >"$case_dir/model/more"
    refuses 1 "No space left on device|database or disk is full" models register --name x --path model
    rm "$case_dir/home/ballast"
    penstock_is 0 models verify
    holds_together
    mkdir "$case_dir/small"
    mount -t tmpfs -o size=4k penstock-test "$case_dir/small"
    refuses 1 "cannot .* small/x.tmp-.*: No space left on device" models download x --to small/x
    [ -z "$(ls -A "$case_dir/small")" ] || fail "something is left of a download that failed"
    umount "$case_dir/home" "$case_dir/small"
else
    echo "  left out: may not mount"
fi

finish
