"""The inner loop: training one network by a learning rule. Importing this package alone brings no torch."""

# Name -> "module:class". Here, so that a script can list the rules without torch. Wherever a rule is named, a
# "module:class" of one's own will do too, without a line here.
LEARNING_RULES = {
    "backprop": "learning.rules.backprop:Backprop",
    "feedback_alignment": "learning.rules.feedback_alignment:FeedbackAlignment",
    "hebbian": "learning.rules.hebbian:Hebbian",
    "last_layer": "learning.rules.last_layer:LastLayer",
    "direct_feedback_alignment": "learning.rules.direct_feedback_alignment:DirectFeedbackAlignment",
}
