// Package faultproxy stands between an IMAP client and a real server and breaks their connection at one boundary.
//
//   - A boundary is a command, a literal or a tagged reply as it is seen on the wire, counted over all connections since
//     Arm; so a caller can break at every one in turn.
//   - Breaking means what At says, after OnFire was called: there the caller may kill the client first.
//   - Late is the worst case that a network allows: the client is gone, and its last command is still on the way to a
//     session that the server believes alive.
package faultproxy
