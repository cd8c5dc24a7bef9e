$(eval $(call guest,hello-pvh,pvh))
