package mirror

import (
	"context"

	"mailstork/daemon/mirror/source"
)

// Prove shows that the source accepts the credential: login, and INBOX opens for reading. Some servers answer OK to a
// wrong password and let it open nothing (A1).
func Prove(ctx context.Context, o Options) error {
	conn, err := source.Dial(ctx, o.Source)
	if err != nil {
		return o.explain(onSource(err))
	}
	defer conn.Close()
	_, err = conn.Examine(ctx, "INBOX")
	return o.explain(onSource(err))
}
