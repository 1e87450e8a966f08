package authhook

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"mailstork/authhook/guard"
)

// throttling are words of answers that ask for fewer of us.
var throttling = []string{"too many", "throttl", "rate limit", "backoff", "[limit]", "exceeded the", "connection limit", "banned", "blacklist"}

// backoffAsked finds "Suggested Backoff Time: 299961 milliseconds" (Exchange Online) and "try again in 300 seconds".
var backoffAsked = regexp.MustCompile(`(?i)(?:backoff time|try again in|retry after|retry in):? *([0-9]{1,9}) *(ms|milliseconds?|s|secs?|seconds?|m|min|minutes?)?\b`)

// troubleIn tells what an answer that is no clear yes or no says about the source itself.
func troubleIn(answer string) (guard.Trouble, time.Duration) {
	text := strings.ToLower(answer)
	for _, word := range throttling {
		if strings.Contains(text, word) {
			return guard.Throttled, askedPause(answer)
		}
	}
	if strings.HasPrefix(strings.TrimPrefix(text, "* "), "bye") {
		return guard.Unreachable, askedPause(answer)
	}
	return guard.Well, 0
}

func askedPause(answer string) time.Duration {
	m := backoffAsked.FindStringSubmatch(answer)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return 0
	}
	switch unit := strings.ToLower(m[2]); {
	case unit == "ms" || strings.HasPrefix(unit, "milli"):
		return time.Duration(n) * time.Millisecond
	case strings.HasPrefix(unit, "m"):
		return time.Duration(n) * time.Minute
	}
	return time.Duration(n) * time.Second
}
