package provider

import "strings"

// More words in which profiles are written.

func rename(name, to string) func(*Line) {
	return func(l *Line) {
		if item := l.item(name); item != nil {
			item.Name = to
		}
	}
}

func value(name string, change func(string) string) func(*Line) {
	return func(l *Line) {
		if item := l.item(name); item != nil {
			item.Value = change(item.Value)
		}
	}
}

func nonSynchronising(literal string) string {
	return strings.Replace(literal, "}\r\n", "+} \r\n", 1)
}

// spaced puts a space too many at every place, and leaves out one.
func spaced(l *Line) {
	l.Verbatim = "*  " + strings.TrimPrefix(l.String(), "* ")
	head, body, _ := strings.Cut(l.Verbatim, "BODY")
	head = strings.ReplaceAll(strings.ReplaceAll(head, " FLAGS (", "  FLAGS("), " INTERNALDATE", "   INTERNALDATE")
	if body != "" {
		body = "BODY" + body
		l.Verbatim = head + strings.TrimSuffix(body, ")\r\n") + "  )  \r\n"
		return
	}
	l.Verbatim = strings.TrimSuffix(head, ")\r\n") + " ) \r\n"
}

func trimCR(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }

func withoutEnd(text string) string { return strings.TrimSuffix(text, ")\r\n") + "\r\n" }

// lowered writes everything but values in lower case.
func lowered(l *Line) {
	for i := range l.Items {
		l.Items[i].Name = strings.ToLower(l.Items[i].Name)
	}
	l.Verbatim = strings.Replace(l.String(), "FETCH", "fetch", 1)
}

// moveLast puts items behind all others.
func moveLast(names ...string) func(*Line) {
	return func(l *Line) {
		for _, name := range names {
			if item := l.item(name); item != nil {
				moved := *item
				without(name)(l)
				l.Items = append(l.Items, moved)
			}
		}
	}
}

// listedAs gives one folder another line in listings.
func listedAs(raw string, change func(*Listed)) func(*Listed) {
	return func(l *Listed) {
		if l.Folder.Raw == raw {
			change(l)
		}
	}
}

func separated(by string) func(*Listed) { return func(l *Listed) { l.Separator = by } }

func named(name string) func(*Listed) { return func(l *Listed) { l.Name = name } }
