//! Roles and the rules about names and addresses.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// Every value.
            pub const ANY: &[Self] = &[$(Self::$variant),*];

            /// As in JSON and SQL.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = ();
            fn from_str(text: &str) -> Result<Self, ()> {
                match text { $($text => Ok(Self::$variant),)* _ => Err(()) }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl From<$name> for $crate::database::Value {
            fn from(value: $name) -> Self {
                Self::Text(value.as_str().to_owned())
            }
        }
    };
}
pub(crate) use text_enum;

text_enum! {
    /// What a member may do in an organisation.
    MemberRole {
        /// Everything, and binds the organisation.
        Owner = "owner",
        /// Apps, credentials, subscriptions.
        Developer = "developer",
        /// Plans with a price, invoices, payment.
        Billing = "billing",
        /// Sees all, changes nothing.
        Reader = "reader",
    }
}

text_enum! {
    /// What a person of the operator's staff may do.
    OperatorRole {
        /// Partners, approvals, products.
        Manager = "manager",
        /// App review.
        Reviewer = "reviewer",
        /// Agreements.
        Lawyer = "lawyer",
        /// Invoices and prices.
        Finance = "finance",
        /// Everything, and the staff list.
        Administrator = "administrator",
    }
}

impl OperatorRole {
    /// Whether someone with the roles `held` may do what asks for one of `wanted`. An administrator
    /// may do everything.
    pub fn any_of(held: &[Self], wanted: &[Self]) -> bool {
        held.iter()
            .any(|role| *role == Self::Administrator || wanted.contains(role))
    }
}
