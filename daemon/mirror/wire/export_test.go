package wire

// NewForTest speaks over a pipe instead of a socket.
var NewForTest = start
