# Completion of `gitorch` and `git orch` in bash. It changes no setting of the shell.
_gitorch() {
    COMPREPLY=()
    local offer
    while IFS= read -r offer; do
        COMPREPLY+=("$offer")
    done < <(_GITORCH_COMPLETE=bash _GITORCH_BREAKS="$COMP_WORDBREAKS" \
        command gitorch "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=/] ]]; then
        compopt -o nospace 2>/dev/null
    else
        compopt +o nospace 2>/dev/null
    fi
}

# git's own completion calls this function.
_git_orch() { _gitorch; }

complete -o bashdefault -o default -F _gitorch gitorch git-orch
