//! The four tracks of a review and their checklists.

use crate::text_enum::text_enum;

text_enum! {
    /// What a reviewer looks at.
    Track {
        /// Does it work, and is it described well.
        Quality = "quality",
        /// Is it safe.
        Security = "security",
        /// Does it look right and use names rightly.
        Branding = "branding",
        /// Does it keep law and agreements.
        Compliance = "compliance",
    }
}

text_enum! {
    /// What a track says.
    Verdict {
        /// Nothing to complain about.
        Pass = "pass",
        /// Something must change.
        Fail = "fail",
    }
}

impl Track {
    /// What the reviewer ticks off.
    pub const fn checklist(self) -> &'static [&'static str] {
        match self {
            Self::Quality => &[
                "Installed it and used it as the description says",
                "Errors are shown in words that help",
                "Gateway evidence looks like a working integration",
            ],
            Self::Security => &[
                "Every scope is needed",
                "Redirect addresses belong to the partner",
                "Removing the app ends its access",
            ],
            Self::Branding => &[
                "Name and logo do not imitate others or the operator",
                "Screenshots show the app as it is",
            ],
            Self::Compliance => &[
                "The privacy statement covers the data it gets",
                "Pricing is stated fully",
                "Support can be reached",
            ],
        }
    }
}
