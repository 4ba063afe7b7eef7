# Completion of `gitorch` and `git orch` in fish. It changes no setting of the shell.
function __gitorch_offers
    set -l before (commandline -opc)
    set -l first 2
    test "$before[1]" = git; and set first 3
    set -l offers (_GITORCH_COMPLETE=fish command gitorch $before[$first..-1] (commandline -ct) 2>/dev/null)
    if test (count $offers) -gt 0
        printf '%s\n' $offers
    else
        __fish_complete_path (commandline -ct)
    end
end

function __gitorch_is_called_by_git
    set -l before (commandline -opc)
    test (count $before) -ge 2; and test "$before[2]" = orch
end

complete -c gitorch -f -a '(__gitorch_offers)'
complete -c git-orch -f -a '(__gitorch_offers)'
complete -c git -f -n __gitorch_is_called_by_git -a '(__gitorch_offers)'
