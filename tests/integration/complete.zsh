# complete.zsh - what zsh makes of command lines at the end of which TAB is pressed. Each of them stands for the command that
# zsh then runs, which prints its arguments.
#
# Usage: zsh -f complete.zsh FOLDER_OF_COMPLETIONS LINE...
zmodload zsh/zpty
zpty shell "PS1= zsh -f -i"
zpty -w shell "fpath=(${(q)1} \$fpath); autoload -Uz compinit; compinit -u -D"
zpty -w shell 'for p in penstock penstock-ps penstock-worker; do eval "$p() { print -r -- GOT$p \$*. }"; done'
shift
for line in "$@"; do
    # The next line is read when this one has been run.
    zpty -w -n shell "$line"$'\t\n'
    while zpty -r shell said; do
        [[ $said == *GOTpenstock* && $said != *eval* ]] && break
    done
    print -r -- "${${said##*GOT}%%.*}"
done
zpty -d shell
