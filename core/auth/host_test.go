package auth

import "testing"

func TestLocalHost(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LocalHost:8083": true, "127.0.0.1": true, "127.9.9.9:80": true,
		"[::1]": true, "[::1]:8083": true, "[::ffff:127.0.0.1]:1": true,

		"": false, ":8083": false, "evil.example": false, "localhost.evil.example": false,
		"127.0.0.1.evil.example:8083": false, "0.0.0.0": false, "[::]:80": false, "192.0.2.1": false,
		"user@localhost": false, "localhost:80:80": false, "127.1": false,
	} {
		if got := LocalHost(host); got != want {
			t.Errorf("LocalHost(%q) = %v, want %v", host, got, want)
		}
	}
}
