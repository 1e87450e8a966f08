package wire

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// ThrottledError says that the server wants to be left alone for a time. The
// connection is closed: whoever goes on at once is locked out for longer.
type ThrottledError struct {
	After  time.Duration
	Status *StatusError
}

func (e *ThrottledError) Error() string {
	return fmt.Sprintf("the server wants to be left alone for %v: %v", e.After.Round(time.Second), e.Status)
}

const (
	usualThrottle   = 5 * time.Minute // what Office 365 asks for, nearly always
	longestThrottle = 24 * time.Hour
)

// suggested is how Exchange Online and Amazon WorkMail say it, in a NO, a BAD or a BYE:
// "Request is throttled. Suggested Backoff Time: 299961 milliseconds".
var suggested = regexp.MustCompile(`(?i)suggested backoff time:?\s*(\d{1,12})\s*(m?s|milliseconds?|seconds?)\b`)

// throttle returns for how long a refusal or farewell asks to be left alone, 0 when it
// does not.
func (e *StatusError) throttle() time.Duration {
	if m := suggested.FindStringSubmatch(e.Text); m != nil {
		unit := time.Millisecond
		if strings.HasPrefix(strings.ToLower(m[2]), "s") {
			unit = time.Second
		}
		n, _ := strconv.ParseInt(m[1], 10, 64) // twelve digits at most
		if n > int64(longestThrottle/unit) {
			return longestThrottle
		}
		return max(time.Duration(n)*unit, time.Second)
	}
	if e.Code == "THROTTLED" || strings.Contains(strings.ToLower(e.Text), "request is throttled") {
		return usualThrottle
	}
	return 0
}

// heed ends a connection to the source whose server asks to be left alone.
func (c *Conn) heed(err error) error {
	s, ok := err.(*StatusError)
	if !ok || !c.opt.ReadOnly {
		return err
	}
	if after := s.throttle(); after > 0 {
		return c.fail(&ThrottledError{After: after, Status: s})
	}
	return err
}

// farewell is the error of a BYE.
func (c *Conn) farewell() error {
	if after := c.bye.throttle(); after > 0 && c.opt.ReadOnly {
		return &ThrottledError{After: after, Status: c.bye}
	}
	return c.bye
}
