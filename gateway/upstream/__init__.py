"""Where documents come from: one module per kind of upstream, and the policies on the way there."""
