//! Which files of a Delta Lake table hold this view's rows?
