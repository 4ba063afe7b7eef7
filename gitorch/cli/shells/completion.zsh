#compdef gitorch git-orch
# Completion of `gitorch` and `git orch` in zsh. It changes no setting of the shell.
_gitorch() {
    local -a lines whole open
    local line
    lines=("${(@f)$(_GITORCH_COMPLETE=zsh command gitorch \
        "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    for line in "${lines[@]}"; do
        case "${line%%:*}" in
            '') ;;
            *[=/]) open+=("$line") ;;
            *) whole+=("$line") ;;
        esac
    done
    if (( ${#whole} + ${#open} == 0 )); then
        _files
        return
    fi
    _describe -t gitorch gitorch whole -- open -S ''
}

# The completion of git calls this function.
_git-orch() { _gitorch }

if (( $+functions[compdef] )); then
    compdef _gitorch gitorch git-orch
fi
