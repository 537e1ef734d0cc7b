package ssohttp

// said tells people what a scope means.
func said(scope string) string {
	switch scope {
	case "openid":
		return "to know that it is you"
	case "profile":
		return "your name and username"
	case "email":
		return "your e-mail address"
	case "groups":
		return "the groups that you are in"
	case "offline_access":
		return "to stay signed in while you are away"
	}
	return scope
}
