package corpus

import (
	"fmt"

	"mailstork/test/testbed"
)

// batchBytes and batchMessages bound one MULTIAPPEND.
const (
	batchBytes    = 4 << 20
	batchMessages = 100
)

// Seed writes the account to the server as its owner's mail program would:
// folders, subscriptions, messages with flags and dates.
func Seed(server *testbed.Dovecot, address, password string, account Account) error {
	client, err := server.Login(address, password)
	if err != nil {
		return err
	}
	if err := write(client, account); err != nil {
		client.Cut()
		return fmt.Errorf("seeding %s: %w", address, err)
	}
	return client.Close()
}

func write(client *testbed.Client, account Account) error {
	namespace, err := client.Namespace()
	if err != nil {
		return err
	}
	for _, folder := range account.Folders {
		name := namespace.Name(folder.Path...)
		if err := create(client, name, folder.Subscribed); err != nil {
			return err
		}
		for rest := folder.Messages; len(rest) > 0; {
			n := batch(rest)
			if _, err := client.AppendAll(name, rest[:n]); err != nil {
				return err
			}
			rest = rest[n:]
		}
	}
	return nil
}

func create(client *testbed.Client, name string, subscribed bool) error {
	if err := client.Create(name); err != nil {
		return err
	}
	if subscribed {
		return nil
	}
	_, err := client.Command("UNSUBSCRIBE %s", testbed.QuoteFolder(name))
	return err
}

// batch tells how many messages go into the next MULTIAPPEND, at least one.
func batch(messages []testbed.Message) int {
	size := 0
	for i, message := range messages {
		size += len(message.Content)
		if i > 0 && (size > batchBytes || i == batchMessages) {
			return i
		}
	}
	return len(messages)
}
